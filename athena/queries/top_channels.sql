-- Which channels were watched longest in a period, and which share of all watch time is theirs?
SELECT
  channel,
  round(sum(watch_ms) / 3.6e6, 2) AS hours,
  round(100 * CAST(sum(watch_ms) AS double)
    / nullif((SELECT CAST(sum(watch_ms) AS bigint) FROM day_totals WHERE dt BETWEEN {{from}} AND {{to}}), 0), 1)
    AS percent_of_all,
  CAST(sum(views) AS bigint) AS views,
  count(*) AS days
FROM channel_days
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY channel
ORDER BY sum(watch_ms) DESC, channel
LIMIT {{top}};
