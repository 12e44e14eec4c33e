-- Which days have no data? One row for each gap between two days that have.
SELECT
  CAST(CAST(CAST(before AS date) + INTERVAL '1' DAY AS date) AS varchar) AS first_missing,
  CAST(CAST(CAST(dt AS date) - INTERVAL '1' DAY AS date) AS varchar) AS last_missing,
  date_diff('day', CAST(before AS date), CAST(dt AS date)) - 1 AS days
FROM (
  SELECT dt, lag(dt) OVER (ORDER BY dt) AS before
  FROM ingest_daily
  WHERE dt BETWEEN {{from}} AND {{to}}
) AS neighbours
WHERE date_diff('day', CAST(before AS date), CAST(dt AS date)) > 1
ORDER BY dt;
