"""Figures for people: how contacts stand at each CRM, how deliveries went, how many failed, and why."""
