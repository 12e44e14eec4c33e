-- How late do events arrive? Share of each day's deliveries by the time between event and delivery. Reads the raw archive.
SELECT
  dt,
  count(*) AS events,
  round(100 * CAST(count(*) FILTER (WHERE event_ts > received_at - 60000) AS double) / count(*), 1) AS percent_a_minute,
  round(100 * CAST(count(*) FILTER (WHERE event_ts > received_at - 3600000) AS double) / count(*), 1) AS percent_an_hour,
  round(100 * CAST(count(*) FILTER (WHERE event_ts > received_at - 86400000) AS double) / count(*), 1) AS percent_a_day
FROM events
WHERE day BETWEEN replace({{from}}, '-', '/') AND replace({{to}}, '-', '/') AND event_ts IS NOT NULL
GROUP BY dt
ORDER BY dt;
