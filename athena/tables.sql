-- The lake's tables on Athena. `watchtime athena apply` runs this file; by hand, replace the words in double braces:
--   {{lake}}       where the lake is, without a slash at the end: s3://bucket or s3://bucket/prefix
--   {{reference}}  the same of the replaced pipeline's bucket (last section only)
--   {{first_day}}  the first day that has data, 2026-11-01; Athena looks into every day of the range, so do not start early
--   {{first_raw_day}}  the same, 2026/11/01
--   {{last_day}}   NOW, the day that is running in UTC; NOW+1DAYS where days are local ones (STREAMS_DAY=local)
--
-- Days are never added by hand: the partition is projected from the range, so a day's files show as soon as they are
-- there, and what is written over a file shows in the next query. Filter by dt wherever you can: it is what is read.
-- Names that Hive's grammar also uses as words stand in backticks.
-- dt is text, so that it compares with '2026-11-01' without a cast. All counters are bigint; `_ms` is milliseconds.
-- Run one of the two lake sections: the one of the format that the lake was begun in (analytics/_layout.json).

-- @section parquet
-- Daily tables over SINKS_FORMAT=parquet. Columns are found by name: a file without a newer column shows null there.

-- video_daily: watch time and views per video.
CREATE EXTERNAL TABLE IF NOT EXISTS video_daily (
  video_id string,
  channel string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
STORED AS PARQUET
LOCATION '{{lake}}/analytics/video_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/video_daily/dt=${dt}/'
);

-- channel_daily: watch time and views per channel.
CREATE EXTERNAL TABLE IF NOT EXISTS channel_daily (
  channel string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
STORED AS PARQUET
LOCATION '{{lake}}/analytics/channel_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/channel_daily/dt=${dt}/'
);

-- hour_daily: watch time and views per hour of the day, 0 to 23.
CREATE EXTERNAL TABLE IF NOT EXISTS hour_daily (
  `hour` bigint,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
STORED AS PARQUET
LOCATION '{{lake}}/analytics/hour_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/hour_daily/dt=${dt}/'
);

-- ingest_daily: what happened to the events of a day, one row a day.
CREATE EXTERNAL TABLE IF NOT EXISTS ingest_daily (
  total_events bigint,
  valid_events bigint,
  invalid_events bigint,
  ignored_no_video_ticks bigint,
  ignored_no_channel_ticks bigint,
  duplicate_events bigint,
  moved_events bigint
)
PARTITIONED BY (dt string)
STORED AS PARQUET
LOCATION '{{lake}}/analytics/ingest_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/ingest_daily/dt=${dt}/'
);

-- client_daily: watch time per install, where STREAMS_CLIENT_TABLE is on; else empty.
CREATE EXTERNAL TABLE IF NOT EXISTS client_daily (
  client_id string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
STORED AS PARQUET
LOCATION '{{lake}}/analytics/client_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/client_daily/dt=${dt}/'
);

-- @section jsonl
-- The same tables over SINKS_FORMAT=jsonl, the files that the replaced pipeline wrote: one JSON object a line, dt repeated
-- in each. A line that is cut off is an error, and not a row less.

-- video_daily: watch time and views per video.
CREATE EXTERNAL TABLE IF NOT EXISTS video_daily (
  video_id string,
  channel string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{lake}}/analytics/video_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/video_daily/dt=${dt}/'
);

-- channel_daily: watch time and views per channel.
CREATE EXTERNAL TABLE IF NOT EXISTS channel_daily (
  channel string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{lake}}/analytics/channel_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/channel_daily/dt=${dt}/'
);

-- hour_daily: watch time and views per hour of the day, 0 to 23.
CREATE EXTERNAL TABLE IF NOT EXISTS hour_daily (
  `hour` bigint,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{lake}}/analytics/hour_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/hour_daily/dt=${dt}/'
);

-- ingest_daily: what happened to the events of a day, one row a day.
CREATE EXTERNAL TABLE IF NOT EXISTS ingest_daily (
  total_events bigint,
  valid_events bigint,
  invalid_events bigint,
  ignored_no_video_ticks bigint,
  ignored_no_channel_ticks bigint,
  duplicate_events bigint,
  moved_events bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{lake}}/analytics/ingest_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/ingest_daily/dt=${dt}/'
);

-- client_daily: watch time per install, where STREAMS_CLIENT_TABLE is on; else empty.
CREATE EXTERNAL TABLE IF NOT EXISTS client_daily (
  client_id string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint,
  ad_ms bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{lake}}/analytics/client_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/analytics/client_daily/dt=${dt}/'
);

-- @section raw
-- raw: every accepted event as it was sent, with the delivery time as received_at; the partition `day` (2026/11/01) is the
-- day of delivery. Fields that no rule of acceptance looks at may hold anything, so they are text here; the view `events`
-- has them typed, and a dt. A line that is no JSON is a row of nulls.
CREATE EXTERNAL TABLE IF NOT EXISTS raw (
  event_id string,
  event_ts bigint,
  event_type string,
  received_at bigint,
  client_id string,
  client_session_id string,
  tab_id string,
  video_id string,
  video_session_id string,
  channel_name string,
  channel_id string,
  channel_handle string,
  channel_url string,
  url string,
  watch_ms_delta string,
  watch_mode string,
  is_visible string,
  player_state string,
  reason string,
  ad string,
  content_ms string,
  fg_reason string,
  page_type string,
  seq string,
  seq_epoch string,
  tz_offset_min string
)
PARTITIONED BY (`day` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{lake}}/raw/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy/MM/dd',
  'projection.day.range' = '{{first_raw_day}},{{last_day}}',
  'projection.day.interval' = '1',
  'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = '{{lake}}/raw/${day}/'
);

-- @section reference
-- The replaced pipeline's own daily files, where they lie: for looking at both side by side, or for days before the
-- switch. Only its columns: this project's additions are not in its files.

CREATE EXTERNAL TABLE IF NOT EXISTS reference_video_daily (
  video_id string,
  channel string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{reference}}/analytics/video_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{reference}}/analytics/video_daily/dt=${dt}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS reference_channel_daily (
  channel string,
  watch_ms bigint,
  watch_ms_fg bigint,
  watch_ms_bg bigint,
  `views` bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{reference}}/analytics/channel_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{reference}}/analytics/channel_daily/dt=${dt}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS reference_ingest_daily (
  total_events bigint,
  valid_events bigint,
  invalid_events bigint,
  ignored_no_video_ticks bigint,
  ignored_no_channel_ticks bigint
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'false')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{{reference}}/analytics/ingest_daily/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '{{first_day}},{{last_day}}',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = '{{reference}}/analytics/ingest_daily/dt=${dt}/'
);
