-- At which hours of the day (UTC, or local ones with STREAMS_DAY=local) is watched, per day with data?
SELECT
  hour,
  round(sum(watch_ms) / 6e4 / (SELECT count(DISTINCT dt) FROM hour_daily WHERE dt BETWEEN {{from}} AND {{to}}), 1)
    AS minutes_per_day,
  round(sum(watch_ms_bg) / 6e4 / (SELECT count(DISTINCT dt) FROM hour_daily WHERE dt BETWEEN {{from}} AND {{to}}), 1)
    AS minutes_background,
  CAST(sum(views) AS bigint) AS views
FROM hour_daily
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY hour
ORDER BY hour;
