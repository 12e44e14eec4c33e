-- How did one channel do, day by day?
SELECT
  dt,
  place,
  round(watch_ms / 6e4, 1) AS minutes,
  round(watch_ms_bg / 6e4, 1) AS minutes_background,
  views
FROM channel_day_ranks
WHERE channel = {{channel}} AND dt BETWEEN {{from}} AND {{to}}
ORDER BY dt;
