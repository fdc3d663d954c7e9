-- The place that a host's address means, equal for all spellings of it; null where it was not read.
-- An address belongs to one host of one block. `reason`: why the host is not reachable.
alter table host add column endpoint text, add column reason text not null default '';
create unique index host_endpoint on host (endpoint);
