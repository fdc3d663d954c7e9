-- What a survey saw that stands against moving or removing a VM as it is; in the host's words. It
-- counts for as long as the VM is on that host.
create table vm_objection (
  vm_id bigint primary key references vm on delete cascade,
  host text not null,
  moving text not null,
  removing text not null
);
