-- Which kinds of events arrived on each day, and from how many installs? Reads the raw archive.
SELECT dt, event_type, count(*) AS events, count(DISTINCT client_id) AS installs
FROM events
WHERE day BETWEEN replace({{from}}, '-', '/') AND replace({{to}}, '-', '/') AND event_type IS NOT NULL
GROUP BY dt, event_type
ORDER BY dt, event_type;
