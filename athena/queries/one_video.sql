-- When was one video watched, and how long?
SELECT dt, channel, round(watch_ms / 6e4, 1) AS minutes, round(watch_ms_bg / 6e4, 1) AS minutes_background, views
FROM video_days
WHERE video_id = {{video}} AND dt BETWEEN {{from}} AND {{to}}
ORDER BY dt;
