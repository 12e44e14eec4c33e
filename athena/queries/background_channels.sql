-- Which channels play mostly in the background? Only channels with an hour or more in the period.
SELECT
  channel,
  round(100 * CAST(sum(watch_ms_bg) AS double) / CAST(sum(watch_ms) AS double), 1) AS percent_background,
  round(sum(watch_ms_bg) / 3.6e6, 2) AS hours_background,
  round(sum(watch_ms) / 3.6e6, 2) AS hours
FROM channel_days
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY channel
HAVING sum(watch_ms) >= 3600000
ORDER BY CAST(sum(watch_ms_bg) AS double) / CAST(sum(watch_ms) AS double) DESC, channel
LIMIT {{top}};
