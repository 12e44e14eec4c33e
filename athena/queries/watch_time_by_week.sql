-- How long was watched in each week (ISO, from Monday), and how much more or less than in the week before?
-- Weeks whose Monday is in the period, each whole; of the running week `days` says how many days have data.
SELECT
  totals.week,
  totals.week_start,
  totals.days,
  round(totals.watch_hours, 2) AS hours,
  round(changes.change_ms / 3.6e6, 2) AS hours_more,
  round(100 * changes.change_share, 1) AS percent_more,
  totals.views
FROM week_totals AS totals
JOIN week_changes AS changes ON changes.week_start = totals.week_start
WHERE totals.week_start BETWEEN {{from}} AND {{to}}
ORDER BY totals.week_start;
