-- Which were the longest sittings with one video? Reads the raw archive; a repeated event counts once by its id.
SELECT
  video_id,
  video_session_id,
  max(channel_name) AS channel,
  round(sum(watch_ms_delta) / 6e4, 1) AS minutes,
  count(*) AS ticks
FROM (
  SELECT client_id, event_id, min(video_id) AS video_id, min(video_session_id) AS video_session_id,
    min(channel_name) AS channel_name, min(watch_ms_delta) AS watch_ms_delta
  FROM events
  WHERE day BETWEEN replace({{from}}, '-', '/') AND replace({{to}}, '-', '/')
    AND event_type = 'watch_tick' AND watch_ms_delta BETWEEN 1 AND 60000 AND (ad IS NULL OR NOT ad)
  GROUP BY client_id, event_id
) AS ticks
GROUP BY video_id, video_session_id
ORDER BY sum(watch_ms_delta) DESC, video_session_id
LIMIT {{top}};
