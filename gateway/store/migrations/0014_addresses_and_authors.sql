-- The place that a host's address means, equal for all spellings of it; null where it was not read.
-- An address belongs to one host of one block. `reason`: why the host is not reachable.
alter table host add column endpoint text, add column reason text not null default '';
create unique index host_endpoint on host (endpoint);

-- Every version of the rules has an author; of some old ones nobody wrote it down.
alter table rule_set_version alter column author set default 'vmgate';
update rule_set_version set author = case when parent is null then 'vmgate' else 'unknown' end
  where author = '';
