-- How much of each day's watch time goes to its leading channel, and to its leading three?
SELECT
  ranks.dt,
  count(*) AS channels,
  round(100 * CAST(sum(ranks.watch_ms) FILTER (WHERE place = 1) AS double) / sum(ranks.watch_ms), 1) AS percent_first,
  round(100 * CAST(sum(ranks.watch_ms) FILTER (WHERE place <= 3) AS double) / sum(ranks.watch_ms), 1)
    AS percent_first_three
FROM channel_day_ranks AS ranks
WHERE ranks.dt BETWEEN {{from}} AND {{to}}
GROUP BY ranks.dt
HAVING sum(ranks.watch_ms) > 0
ORDER BY ranks.dt;
