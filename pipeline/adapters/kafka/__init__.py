"""Apache Kafka by kafka-python: membership in a group, transactions, topics, and topics as sources of a replay."""
