#!/bin/sh
# Starts one Kafka process that is broker and controller: formats the data folder when it is new, then becomes the broker.
# Needs java on the PATH and Kafka's jars in /opt/kafka/libs, which the image apache/kafka has, too.
# KAFKA_ADVERTISED: the addresses by which clients reach the listeners of server.properties.
set -eu
config=/etc/watchtime/server.properties
# The one tmpfs that a read-only container may write, with the settings as they are for this start.
sed "s|^advertised.listeners=.*|advertised.listeners=$KAFKA_ADVERTISED|" "$config" > /tmp/server.properties

java_options="-Xms${KAFKA_HEAP:-512m} -Xmx${KAFKA_HEAP:-512m} -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true
  -Dlog4j2.configurationFile=/etc/watchtime/log4j2.properties ${KAFKA_OPTS:-}"

if [ ! -e /var/lib/kafka/data/log/meta.properties ]; then
  # A format that was interrupted leaves a folder without meta.properties, which is written last.
  rm -rf /var/lib/kafka/data/log
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
  # shellcheck disable=SC2086 # options are words
  java -XX:TieredStopAtLevel=1 $java_options -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format --cluster-id="$id" --config /tmp/server.properties
fi
# shellcheck disable=SC2086
exec java $java_options -cp '/opt/kafka/libs/*' kafka.Kafka /tmp/server.properties
