-- Is the data sane: how many events were invalid, ignored, repeated or had an unbelievable time, day by day?
SELECT
  dt,
  total_events,
  round(100 * invalid_share, 2) AS percent_invalid,
  round(100 * ignored_share, 2) AS percent_ignored,
  round(100 * duplicate_share, 2) AS percent_repeated,
  round(100 * moved_share, 2) AS percent_moved
FROM data_quality
WHERE dt BETWEEN {{from}} AND {{to}}
ORDER BY dt;
