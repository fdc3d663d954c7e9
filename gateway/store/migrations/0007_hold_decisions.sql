-- A hold's places are decided like any other, and each place names its decision. `hold_id` has no
-- foreign key: a decision outlives the hold. There is no VM yet, and so `vm_id` is 0.
alter table decision drop constraint decision_kind_check;
alter table decision add constraint decision_kind_check
  check (kind in ('deploy', 'relocate', 'reconfigure', 'preview', 'hold'));
alter table decision add column hold_id uuid;
alter table hold_booking add column decision_id uuid;
