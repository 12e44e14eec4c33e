-- Which channels were watched for the first time in a period, and did they stay?
-- Looks at all days, because a channel is new only if no earlier day has it.
SELECT
  first_dt,
  channel,
  round(first_day_watch_ms / 6e4, 1) AS minutes_on_first_day,
  round(watch_ms / 3.6e6, 2) AS hours_since,
  days,
  last_dt
FROM new_channels
WHERE first_dt BETWEEN {{from}} AND {{to}}
ORDER BY first_dt, watch_ms DESC, channel;
