"""What has to exist around a twin: made from its description, as often as one likes."""
