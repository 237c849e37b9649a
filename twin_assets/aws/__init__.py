"""The only importers of boto3: clients, and what AWS's errors mean. Everything else sees Protocols."""
