-- Decisions are kept with what they were made of, so that each can be made again: the rows of a
-- checkpoint, the feed's changes up to the decision's position, and the rows that were ahead.

-- `task_id` and `vm_id` have no foreign key: a decision outlives both. `body` is the whole
-- decision as scheduler/decision.py encodes it, byte for byte.
create table decision (
  id uuid primary key,
  at timestamptz not null default clock_timestamp(),
  kind text not null check (kind in ('deploy', 'relocate', 'reconfigure', 'preview')),
  outcome text not null check (outcome in ('placed', 'refused')),
  task_id uuid,
  vm_id bigint not null,
  enterprise_id bigint not null,
  host_id bigint,
  position bigint not null,
  rule_set bigint not null,
  scheduler text not null,
  body bytea not null
);
create index decision_at on decision (at, id);
create index decision_vm on decision (vm_id, at);
create index decision_task on decision (task_id) where task_id is not null;
create index decision_position on decision (position);

-- Which decision placed the VM where it is.
alter table vm add column decision_id uuid;

-- The inventory's rows exactly as the feed had told them at `position`, compressed.
create table inventory_checkpoint (
  position bigint primary key,
  at timestamptz not null default clock_timestamp(),
  body bytea not null
);

-- The inventory's changes up to here are no longer in the feed: who is further behind loads anew.
alter table feed_head add column trimmed bigint not null default 0;
create index feed_inventory on feed (position) where topic = 'inventory';
