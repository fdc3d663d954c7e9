-- The state an appliance was last told to be in: an event is due when it differs from its VMs'.

alter table virtualappliance add column told_state text not null default 'EMPTY';
