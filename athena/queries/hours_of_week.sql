-- On which weekdays (1 is Monday) and at which hours is watched? One row for each pair that has any: a heat map.
SELECT weekday, hour, round(sum(watch_ms) / 6e4, 1) AS minutes, count(DISTINCT dt) AS days
FROM hours_of_week
WHERE dt BETWEEN {{from}} AND {{to}}
GROUP BY weekday, hour
HAVING sum(watch_ms) > 0
ORDER BY weekday, hour;
