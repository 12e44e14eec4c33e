"""A whole stack on one machine: Apache Kafka, an S3 server and the stages as supervised child processes."""
