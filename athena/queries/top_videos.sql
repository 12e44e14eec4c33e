-- Which videos were watched longest in a period?
SELECT
  video_id,
  max_by(channel, dt) FILTER (WHERE channel IS NOT NULL) AS channel,
  round(sum(watch_ms) / 3.6e6, 2) AS hours,
  CAST(sum(views) AS bigint) AS views,
  count(*) AS days
FROM video_days
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY video_id
ORDER BY sum(watch_ms) DESC, video_id
LIMIT {{top}};
