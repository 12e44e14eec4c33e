-- Which channels lost most against the week before, channels that were not watched any more included?
SELECT week_start, channel, hours, hours_before, hours_less
FROM (
  SELECT
    week_start,
    channel,
    round(watch_ms / 3.6e6, 2) AS hours,
    round(previous_watch_ms / 3.6e6, 2) AS hours_before,
    round(-change_ms / 3.6e6, 2) AS hours_less,
    row_number() OVER (PARTITION BY week_start ORDER BY change_ms, channel) AS place
  FROM channel_week_changes
  WHERE week_start BETWEEN {{from}} AND {{to}} AND change_ms < 0
) AS ranked
WHERE place <= {{top}}
ORDER BY week_start, place;
