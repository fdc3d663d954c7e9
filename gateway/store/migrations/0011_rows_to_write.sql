-- What is written many at a time comes as one array of rows: half the work of an array for each
-- column, and the planner takes it for what it is, a handful.

create type new_change as (topic text, entity text, entity_id text, payload jsonb);
create type new_decision as (
  id uuid, kind text, outcome text, task_id uuid, vm_id bigint, enterprise_id bigint,
  host_id bigint, position bigint, rule_set bigint, scheduler text, body bytea, hold_id uuid);
create type new_grant as (
  task_id uuid, epoch integer, step text, detail jsonb, vm_id bigint, host_id bigint,
  datastore_id bigint, cpu integer, ram_mib integer, disk_bytes bigint, moving boolean,
  decision_id uuid);
create type counted as (
  kind text, id bigint, cpu bigint, ram bigint, disk bigint, enterprises bigint[],
  layers bigint[]);
