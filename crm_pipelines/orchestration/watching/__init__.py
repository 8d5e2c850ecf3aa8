"""What looks at deliveries from outside, and tells people: sensors, health, fidelity, the daily report."""
