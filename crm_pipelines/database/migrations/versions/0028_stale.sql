-- Delivered contacts by the mapping that they were sent with, so that those of another one are found without the others.
CREATE INDEX crm_syncs_mapping_idx ON crm_syncs (crm, mapping_version) WHERE state = 'synced';
