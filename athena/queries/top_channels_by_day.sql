-- Which channels lead each day?
SELECT dt, place, channel, round(watch_ms / 6e4, 1) AS minutes, views
FROM channel_day_ranks
WHERE dt BETWEEN {{from}} AND {{to}} AND place <= {{top}}
ORDER BY dt, place;
