-- Which videos hold their viewers longest, on average per view? Only videos with three views or more.
SELECT
  video_id,
  max_by(channel, dt) FILTER (WHERE channel IS NOT NULL) AS channel,
  round(sum(watch_ms) / 6e4 / CAST(sum(views) AS double), 2) AS minutes_per_view,
  CAST(sum(views) AS bigint) AS views
FROM video_days
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY video_id
HAVING sum(views) >= 3
ORDER BY sum(watch_ms) / CAST(sum(views) AS double) DESC, video_id
LIMIT {{top}};
