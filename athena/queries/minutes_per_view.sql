-- Which videos hold their viewers longest, on average per view? Only videos with three views or more.
SELECT video_id, channel, round(watch_ms / 6e4 / CAST(views AS double), 2) AS minutes_per_view, views
FROM (
  SELECT
    video_id,
    max_by(channel, dt) FILTER (WHERE channel IS NOT NULL) AS channel,
    CAST(sum(watch_ms) AS bigint) AS watch_ms,
    CAST(sum(views) AS bigint) AS views
  FROM video_days
  WHERE dt BETWEEN {{from}} AND {{to}}
  GROUP BY video_id
) AS videos
WHERE views >= 3
ORDER BY watch_ms / CAST(views AS double) DESC, video_id
LIMIT {{top}};
