-- Do the tables agree? Video and hour rows count the same events, so both sums must be equal on every day; channel rows
-- lack the time of videos whose channel was not known. Rows here that say `differs` need `watchtime reconcile`.
SELECT
  dt,
  videos.watch_ms AS videos_ms,
  hours.watch_ms AS hours_ms,
  videos.watch_ms - coalesce(channels.watch_ms, 0) AS without_channel_ms,
  CASE
    WHEN videos.watch_ms = hours.watch_ms AND videos.views = hours.views
      AND coalesce(channels.watch_ms, 0) <= videos.watch_ms THEN 'agrees'
    ELSE 'differs'
  END AS verdict
FROM (SELECT dt, CAST(sum(watch_ms) AS bigint) AS watch_ms, CAST(sum(views) AS bigint) AS views
      FROM hour_daily WHERE dt BETWEEN {{from}} AND {{to}} GROUP BY dt) AS hours
LEFT JOIN (SELECT dt, CAST(sum(watch_ms) AS bigint) AS watch_ms, CAST(sum(views) AS bigint) AS views
      FROM video_daily WHERE dt BETWEEN {{from}} AND {{to}} GROUP BY dt) AS videos USING (dt)
LEFT JOIN (SELECT dt, CAST(sum(watch_ms) AS bigint) AS watch_ms
      FROM channel_daily WHERE dt BETWEEN {{from}} AND {{to}} GROUP BY dt) AS channels USING (dt)
ORDER BY dt;
