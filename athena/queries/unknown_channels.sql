-- Which videos were watched without their channel being known, and how long?
SELECT video_id, round(sum(watch_ms) / 6e4, 1) AS minutes, CAST(sum(views) AS bigint) AS views, count(*) AS days
FROM video_days
WHERE dt BETWEEN {{from}} AND {{to}} AND channel IS NULL
GROUP BY video_id
ORDER BY sum(watch_ms) DESC, video_id
LIMIT {{top}};
