-- How long did advertisements run, which are not watch time, and beside how much of it?
SELECT
  channel,
  round(sum(ad_ms) / 6e4, 1) AS ad_minutes,
  round(sum(watch_ms) / 6e4, 1) AS minutes,
  round(100 * CAST(sum(ad_ms) AS double) / CAST(sum(ad_ms) + sum(watch_ms) AS double), 1) AS percent_ads
FROM channel_days
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY channel
HAVING sum(ad_ms) > 0
ORDER BY sum(ad_ms) DESC, channel
LIMIT {{top}};
