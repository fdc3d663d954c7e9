-- What a task could not delete: the order that would have, and why it could not.
create table leftover (
  id bigint generated always as identity primary key,
  vm_uuid uuid not null,
  vm_name text not null,
  enterprise_id bigint references enterprise on delete set null,
  task_id uuid not null,
  hypervisor text not null,
  host text not null,
  datastore text not null,
  volume text not null,
  call jsonb not null,
  reason text not null,
  found_at timestamptz not null default clock_timestamp(),
  cleared_at timestamptz
);
create unique index leftover_open on leftover (hypervisor, host, vm_uuid, datastore, volume)
  where cleared_at is null;
