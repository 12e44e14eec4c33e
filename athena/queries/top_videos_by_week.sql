-- Which videos lead each week (ISO, from Monday)?
SELECT week_start, place, video_id, channel, days, round(watch_hours, 2) AS hours, views
FROM video_week_ranks
WHERE week_start BETWEEN {{from}} AND {{to}} AND place <= {{top}}
ORDER BY week_start, place;
