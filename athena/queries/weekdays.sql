-- How long is watched on each weekday (1 is Monday), on average over the days with data?
SELECT
  weekday,
  count(DISTINCT dt) AS days,
  round(sum(watch_ms) / 6e4 / count(DISTINCT dt), 1) AS minutes_per_day
FROM hours_of_week
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY weekday
ORDER BY weekday;
