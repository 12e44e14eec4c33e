-- Views over the daily tables: one text for Athena, Trino and DuckDB.
--
-- What differs between these engines is not used here: no int / int, no date functions beyond date_trunc, date_diff and
-- INTERVAL, sums cast back to bigint. Days and weeks are text (2026-11-02), as dt is, so that the same comparison works
-- everywhere. Weeks are ISO weeks: `week_start` is their Monday. Shares are between 0 and 1, null where the whole is 0.
-- Watch time never includes advertisements; `ad_ms` is apart. Filter by dt (day views) or week_start (week views).

-- day_totals: one row a day, everything that was watched.
CREATE OR REPLACE VIEW day_totals AS
SELECT
  dt,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(watch_ms) AS bigint) / 3.6e6 AS watch_hours,
  CAST(sum(watch_ms_fg) AS bigint) AS watch_ms_fg,
  CAST(sum(watch_ms_bg) AS bigint) AS watch_ms_bg,
  CAST(sum(watch_ms_bg) AS double) / nullif(CAST(sum(watch_ms) AS bigint), 0) AS background_share,
  CAST(sum(views) AS bigint) AS views,
  CAST(sum(watch_ms) AS double) / nullif(CAST(sum(views) AS bigint), 0) AS watch_ms_per_view,
  CAST(sum(ad_ms) AS bigint) AS ad_ms
FROM hour_daily
GROUP BY dt;

-- week_totals: the same by week; `days` tells how many days of the week have data yet.
CREATE OR REPLACE VIEW week_totals AS
SELECT
  week_start,
  week,
  count(*) AS days,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(watch_ms) AS bigint) / 3.6e6 AS watch_hours,
  CAST(sum(watch_ms_fg) AS bigint) AS watch_ms_fg,
  CAST(sum(watch_ms_bg) AS bigint) AS watch_ms_bg,
  CAST(sum(watch_ms_bg) AS double) / nullif(CAST(sum(watch_ms) AS bigint), 0) AS background_share,
  CAST(sum(views) AS bigint) AS views,
  CAST(sum(watch_ms) AS double) / nullif(CAST(sum(views) AS bigint), 0) AS watch_ms_per_view,
  CAST(sum(ad_ms) AS bigint) AS ad_ms
FROM (
  SELECT
    CAST(CAST(date_trunc('week', CAST(dt AS date)) AS date) AS varchar) AS week_start,
    -- The year of an ISO week is the year of its Thursday.
    CAST(extract(YEAR FROM date_trunc('week', CAST(dt AS date)) + INTERVAL '3' DAY) AS varchar)
      || '-W' || lpad(CAST(extract(WEEK FROM CAST(dt AS date)) AS varchar), 2, '0') AS week,
    watch_ms, watch_ms_fg, watch_ms_bg, views, ad_ms
  FROM day_totals
) AS days
GROUP BY week_start, week;

-- video_days: one row per day and video. `channel` is the newest name seen that day, null where none was.
CREATE OR REPLACE VIEW video_days AS
SELECT
  dt,
  video_id,
  channel,
  watch_ms,
  watch_ms / 3.6e6 AS watch_hours,
  watch_ms_fg,
  watch_ms_bg,
  CAST(watch_ms_bg AS double) / nullif(watch_ms, 0) AS background_share,
  views,
  CAST(watch_ms AS double) / nullif(views, 0) AS watch_ms_per_view,
  ad_ms
FROM video_daily;

-- channel_days: one row per day and channel name.
CREATE OR REPLACE VIEW channel_days AS
SELECT
  dt,
  channel,
  watch_ms,
  watch_ms / 3.6e6 AS watch_hours,
  watch_ms_fg,
  watch_ms_bg,
  CAST(watch_ms_bg AS double) / nullif(watch_ms, 0) AS background_share,
  views,
  CAST(watch_ms AS double) / nullif(views, 0) AS watch_ms_per_view,
  ad_ms
FROM channel_daily;

-- video_weeks: one row per week and video; `days` is on how many days of the week it was seen, `channel` the newest name.
CREATE OR REPLACE VIEW video_weeks AS
SELECT
  week_start,
  video_id,
  max_by(channel, dt) FILTER (WHERE channel IS NOT NULL) AS channel,
  count(*) AS days,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(watch_ms) AS bigint) / 3.6e6 AS watch_hours,
  CAST(sum(watch_ms_fg) AS bigint) AS watch_ms_fg,
  CAST(sum(watch_ms_bg) AS bigint) AS watch_ms_bg,
  CAST(sum(watch_ms_bg) AS double) / nullif(CAST(sum(watch_ms) AS bigint), 0) AS background_share,
  CAST(sum(views) AS bigint) AS views,
  CAST(sum(watch_ms) AS double) / nullif(CAST(sum(views) AS bigint), 0) AS watch_ms_per_view,
  CAST(sum(ad_ms) AS bigint) AS ad_ms
FROM (
  SELECT
    CAST(CAST(date_trunc('week', CAST(dt AS date)) AS date) AS varchar) AS week_start,
    dt, video_id, channel, watch_ms, watch_ms_fg, watch_ms_bg, views, ad_ms
  FROM video_daily
) AS days
GROUP BY week_start, video_id;

-- channel_weeks: one row per week and channel name.
CREATE OR REPLACE VIEW channel_weeks AS
SELECT
  week_start,
  channel,
  count(*) AS days,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(watch_ms) AS bigint) / 3.6e6 AS watch_hours,
  CAST(sum(watch_ms_fg) AS bigint) AS watch_ms_fg,
  CAST(sum(watch_ms_bg) AS bigint) AS watch_ms_bg,
  CAST(sum(watch_ms_bg) AS double) / nullif(CAST(sum(watch_ms) AS bigint), 0) AS background_share,
  CAST(sum(views) AS bigint) AS views,
  CAST(sum(watch_ms) AS double) / nullif(CAST(sum(views) AS bigint), 0) AS watch_ms_per_view,
  CAST(sum(ad_ms) AS bigint) AS ad_ms
FROM (
  SELECT
    CAST(CAST(date_trunc('week', CAST(dt AS date)) AS date) AS varchar) AS week_start,
    channel, watch_ms, watch_ms_fg, watch_ms_bg, views, ad_ms
  FROM channel_daily
) AS days
GROUP BY week_start, channel;

-- video_day_ranks: place of each video on its day by watch time; the top ten are WHERE place <= 10. Ties by id.
CREATE OR REPLACE VIEW video_day_ranks AS
SELECT dt, row_number() OVER (PARTITION BY dt ORDER BY watch_ms DESC, video_id) AS place,
  video_id, channel, watch_ms, watch_hours, watch_ms_fg, watch_ms_bg, views
FROM video_days;

-- channel_day_ranks: place of each channel on its day.
CREATE OR REPLACE VIEW channel_day_ranks AS
SELECT dt, row_number() OVER (PARTITION BY dt ORDER BY watch_ms DESC, channel) AS place,
  channel, watch_ms, watch_hours, watch_ms_fg, watch_ms_bg, views
FROM channel_days;

-- video_week_ranks: place of each video in its week.
CREATE OR REPLACE VIEW video_week_ranks AS
SELECT week_start, row_number() OVER (PARTITION BY week_start ORDER BY watch_ms DESC, video_id) AS place,
  video_id, channel, days, watch_ms, watch_hours, watch_ms_fg, watch_ms_bg, views
FROM video_weeks;

-- channel_week_ranks: place of each channel in its week.
CREATE OR REPLACE VIEW channel_week_ranks AS
SELECT week_start, row_number() OVER (PARTITION BY week_start ORDER BY watch_ms DESC, channel) AS place,
  channel, days, watch_ms, watch_hours, watch_ms_fg, watch_ms_bg, views
FROM channel_weeks;

-- week_changes: each week beside the one before it; a week without data counts as 0. The running week is not whole.
CREATE OR REPLACE VIEW week_changes AS
SELECT
  week_start,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(previous_ms) AS bigint) AS previous_watch_ms,
  CAST(sum(watch_ms - previous_ms) AS bigint) AS change_ms,
  CAST(sum(watch_ms - previous_ms) AS double) / nullif(CAST(sum(previous_ms) AS bigint), 0) AS change_share
FROM (
  SELECT week_start, watch_ms, CAST(0 AS bigint) AS previous_ms FROM week_totals
  UNION ALL
  SELECT CAST(CAST(CAST(week_start AS date) + INTERVAL '7' DAY AS date) AS varchar), CAST(0 AS bigint), watch_ms
  FROM week_totals
) AS weeks
WHERE week_start <= (SELECT max(week_start) FROM week_totals)
GROUP BY week_start;

-- channel_week_changes: each channel's week beside its week before, channels that fell to nothing included.
CREATE OR REPLACE VIEW channel_week_changes AS
SELECT
  week_start,
  channel,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(previous_ms) AS bigint) AS previous_watch_ms,
  CAST(sum(watch_ms - previous_ms) AS bigint) AS change_ms,
  CAST(sum(watch_ms - previous_ms) AS double) / nullif(CAST(sum(previous_ms) AS bigint), 0) AS change_share
FROM (
  SELECT week_start, channel, watch_ms, CAST(0 AS bigint) AS previous_ms FROM channel_weeks
  UNION ALL
  SELECT CAST(CAST(CAST(week_start AS date) + INTERVAL '7' DAY AS date) AS varchar), channel, CAST(0 AS bigint),
    watch_ms
  FROM channel_weeks
) AS weeks
WHERE week_start <= (SELECT max(week_start) FROM week_totals)
GROUP BY week_start, channel;

-- new_channels: each channel with the day on which it first appears in the tables, and what became of it since.
CREATE OR REPLACE VIEW new_channels AS
SELECT
  min(dt) AS first_dt,
  CAST(CAST(date_trunc('week', CAST(min(dt) AS date)) AS date) AS varchar) AS first_week_start,
  channel,
  max(dt) AS last_dt,
  count(*) AS days,
  min_by(watch_ms, dt) AS first_day_watch_ms,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(views) AS bigint) AS views
FROM channel_daily
GROUP BY channel;

-- hours_of_week: one row per day and hour, with the weekday (1 = Monday) of that day: sum it over any days.
CREATE OR REPLACE VIEW hours_of_week AS
SELECT
  dt,
  date_diff('day', CAST(date_trunc('week', CAST(dt AS date)) AS date), CAST(dt AS date)) + 1 AS weekday,
  hour,
  watch_ms,
  watch_ms / 3.6e6 AS watch_hours,
  watch_ms_fg,
  watch_ms_bg,
  views,
  ad_ms
FROM hour_daily;

-- hours_of_day: over all days, how much falls into each hour, and how much that is on a day with data.
CREATE OR REPLACE VIEW hours_of_day AS
SELECT
  hour,
  CAST(sum(watch_ms) AS bigint) AS watch_ms,
  CAST(sum(watch_ms) AS bigint) / 3.6e6 AS watch_hours,
  CAST(sum(watch_ms) AS double) / (SELECT count(DISTINCT dt) FROM hour_daily) AS watch_ms_per_day,
  CAST(sum(watch_ms) AS double) / nullif((SELECT CAST(sum(watch_ms) AS bigint) FROM hour_daily), 0) AS share,
  CAST(sum(views) AS bigint) AS views
FROM hour_daily
GROUP BY hour;

-- data_quality: what became of each day's events; every share should be small and steady.
CREATE OR REPLACE VIEW data_quality AS
SELECT
  dt,
  total_events,
  valid_events,
  invalid_events,
  CAST(invalid_events AS double) / nullif(total_events, 0) AS invalid_share,
  ignored_no_video_ticks,
  ignored_no_channel_ticks,
  CAST(ignored_no_video_ticks + ignored_no_channel_ticks AS double) / nullif(valid_events, 0) AS ignored_share,
  duplicate_events,
  CAST(duplicate_events AS double) / nullif(total_events + duplicate_events, 0) AS duplicate_share,
  moved_events,
  CAST(moved_events AS double) / nullif(total_events, 0) AS moved_share
FROM ingest_daily;

-- events: the archived events typed; `dt` is the day of delivery. A number is one only when its text is just that number,
-- since casts read '1.5' and ' 7 ' in ways of their own; anything else is null. Raw text has lost its quotes, so the
-- string "5" reads as 5 here, and does not count in the daily tables.
CREATE OR REPLACE VIEW events AS
SELECT
  replace(day, '/', '-') AS dt,
  day,
  event_id,
  event_ts,
  event_type,
  received_at,
  client_id,
  client_session_id,
  tab_id,
  video_id,
  video_session_id,
  channel_name,
  channel_id,
  channel_handle,
  channel_url,
  url,
  CASE WHEN CAST(TRY_CAST(watch_ms_delta AS bigint) AS varchar) = watch_ms_delta THEN TRY_CAST(watch_ms_delta AS bigint) END AS watch_ms_delta,
  watch_mode,
  CASE is_visible WHEN 'true' THEN true WHEN 'false' THEN false END AS is_visible,
  player_state,
  reason,
  CASE ad WHEN 'true' THEN true WHEN 'false' THEN false END AS ad,
  CASE WHEN CAST(TRY_CAST(content_ms AS bigint) AS varchar) = content_ms THEN TRY_CAST(content_ms AS bigint) END AS content_ms,
  fg_reason,
  page_type,
  CASE WHEN CAST(TRY_CAST(seq AS bigint) AS varchar) = seq THEN TRY_CAST(seq AS bigint) END AS seq,
  seq_epoch,
  CASE WHEN CAST(TRY_CAST(tz_offset_min AS bigint) AS varchar) = tz_offset_min THEN TRY_CAST(tz_offset_min AS bigint) END AS tz_offset_min
FROM raw;
