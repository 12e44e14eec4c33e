-- Which channels are watched on most days, and how long on such a day?
SELECT channel, count(*) AS days, round(sum(watch_ms) / 6e4 / count(*), 1) AS minutes_per_day
FROM channel_days
WHERE dt BETWEEN {{from}} AND {{to}} AND watch_ms > 0
GROUP BY channel
ORDER BY count(*) DESC, sum(watch_ms) DESC, channel
LIMIT {{top}};
