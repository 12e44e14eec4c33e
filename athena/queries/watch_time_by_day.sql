-- How long was watched on each day, in front and in the background, and how does it compare with the week up to it?
SELECT
  dt,
  round(watch_hours, 2) AS hours,
  round(watch_ms_fg / 3.6e6, 2) AS hours_foreground,
  round(watch_ms_bg / 3.6e6, 2) AS hours_background,
  views,
  round(avg(watch_hours) OVER (ORDER BY dt ROWS BETWEEN 6 PRECEDING AND CURRENT ROW), 2) AS hours_mean_of_7_days
FROM day_totals
WHERE dt BETWEEN {{from}} AND {{to}}
ORDER BY dt;
