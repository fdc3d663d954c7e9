-- Why the hypervisor has a VM in its state; empty when the state says it all.
alter table vm add column state_reason text not null default '';
-- Why a host was seen unable to use a datastore; empty when it can, and until a survey has looked.
alter table host_datastore add column problem text not null default '';
-- VMs that were deleted while nobody could see them. One that is seen again is reported by name.
create table deleted_vm (
  uuid uuid primary key,
  vm_id bigint not null,
  name text not null,
  label text not null,
  enterprise_id bigint not null,
  deleted_at timestamptz not null default clock_timestamp(),
  seen_hypervisor text not null default '',
  seen_host text not null default '',
  seen_at timestamptz
);
