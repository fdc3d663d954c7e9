-- The processes that place VMs now: each tries its own share of the hosts first.
create table scheduler_member (
  name text primary key,
  lease_until timestamptz not null
);
