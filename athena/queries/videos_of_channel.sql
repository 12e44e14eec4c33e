-- Which videos of one channel were watched longest?
SELECT video_id, round(sum(watch_ms) / 6e4, 1) AS minutes, CAST(sum(views) AS bigint) AS views, count(*) AS days
FROM video_days
WHERE channel = {{channel}} AND dt BETWEEN {{from}} AND {{to}}
GROUP BY video_id
ORDER BY sum(watch_ms) DESC, video_id
LIMIT {{top}};
