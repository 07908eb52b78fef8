-- contract: nobody writes or reads the note any more (0002 gave it its new name)
drop trigger both_names on ledger.entry;
drop function ledger.both_names();
alter table ledger.entry alter column text set not null, drop column note;
