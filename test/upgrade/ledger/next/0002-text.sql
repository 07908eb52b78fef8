-- An entry's note becomes its text. Until the note is taken away, whichever of the two a version writes is there under both names.
alter table ledger.entry add column text text, add column marks integer not null default 0;
create table ledger.mark (entry text primary key references ledger.entry, mark text not null default 'none');
create function ledger.both_names() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    new.note := coalesce(new.note, new.text);
    new.text := coalesce(new.text, new.note);
  elsif new.text is distinct from old.text then new.note := new.text;
  elsif new.note is distinct from old.note then new.text := new.note;
  end if;
  return new;
end $$;
create trigger both_names before insert or update on ledger.entry for each row execute function ledger.both_names();
update ledger.entry set text = note where text is null;
