-- How many installs watched on each day, and how long on average? Needs STREAMS_CLIENT_TABLE=on; else there are no rows.
SELECT
  dt,
  count(*) AS installs,
  round(sum(watch_ms) / 6e4 / count(*), 1) AS minutes_each,
  round(max(watch_ms) / 6e4, 1) AS minutes_most
FROM client_daily
WHERE dt BETWEEN {{from}} AND {{to}} AND watch_ms > 0
GROUP BY dt
ORDER BY dt;
