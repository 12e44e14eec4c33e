-- The daily tables for Trino. Days are projected: a day's files show as soon as they are there.
-- {{lake}} and {{format}} are filled by tables.py.
CREATE SCHEMA IF NOT EXISTS lake.default;

CREATE TABLE IF NOT EXISTS video_daily (
  video_id varchar,
  channel varchar,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  views bigint,
  ad_ms bigint,
  dt varchar WITH (partition_projection_type = 'DATE', partition_projection_format = 'yyyy-MM-dd',
    partition_projection_interval = 1, partition_projection_interval_unit = 'DAYS',
    partition_projection_range = ARRAY['NOW-400DAYS', 'NOW+1DAYS'])
) WITH (
  external_location = '{{lake}}/analytics/video_daily/',
  format = '{{format}}',
  partitioned_by = ARRAY['dt'],
  partition_projection_enabled = true,
  partition_projection_location_template = '{{lake}}/analytics/video_daily/dt=${dt}/'
);

CREATE TABLE IF NOT EXISTS channel_daily (
  channel varchar,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  views bigint,
  ad_ms bigint,
  dt varchar WITH (partition_projection_type = 'DATE', partition_projection_format = 'yyyy-MM-dd',
    partition_projection_interval = 1, partition_projection_interval_unit = 'DAYS',
    partition_projection_range = ARRAY['NOW-400DAYS', 'NOW+1DAYS'])
) WITH (
  external_location = '{{lake}}/analytics/channel_daily/',
  format = '{{format}}',
  partitioned_by = ARRAY['dt'],
  partition_projection_enabled = true,
  partition_projection_location_template = '{{lake}}/analytics/channel_daily/dt=${dt}/'
);

CREATE TABLE IF NOT EXISTS hour_daily (
  hour bigint,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  views bigint,
  ad_ms bigint,
  dt varchar WITH (partition_projection_type = 'DATE', partition_projection_format = 'yyyy-MM-dd',
    partition_projection_interval = 1, partition_projection_interval_unit = 'DAYS',
    partition_projection_range = ARRAY['NOW-400DAYS', 'NOW+1DAYS'])
) WITH (
  external_location = '{{lake}}/analytics/hour_daily/',
  format = '{{format}}',
  partitioned_by = ARRAY['dt'],
  partition_projection_enabled = true,
  partition_projection_location_template = '{{lake}}/analytics/hour_daily/dt=${dt}/'
);

CREATE TABLE IF NOT EXISTS ingest_daily (
  total_events bigint,
  valid_events bigint,
  invalid_events bigint,
  ignored_no_video_ticks bigint,
  ignored_no_channel_ticks bigint,
  duplicate_events bigint,
  moved_events bigint,
  dt varchar WITH (partition_projection_type = 'DATE', partition_projection_format = 'yyyy-MM-dd',
    partition_projection_interval = 1, partition_projection_interval_unit = 'DAYS',
    partition_projection_range = ARRAY['NOW-400DAYS', 'NOW+1DAYS'])
) WITH (
  external_location = '{{lake}}/analytics/ingest_daily/',
  format = '{{format}}',
  partitioned_by = ARRAY['dt'],
  partition_projection_enabled = true,
  partition_projection_location_template = '{{lake}}/analytics/ingest_daily/dt=${dt}/'
);
