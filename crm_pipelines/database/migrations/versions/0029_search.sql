-- What the search of contacts looks through, and by what it finds them. Both need no extension, no collation and no other
-- function, so that an index may use them wherever it is built, and where a dump is restored.

-- crm_searchable(): the texts of a contact in one line each, without case and accents: "MÜLLER" becomes "muller". Of very long
-- ones the beginning. Quotes and backslashes are left out, since in the text of custom fields they are written in another way.
CREATE OR REPLACE FUNCTION crm_searchable(p_email text, p_name text, p_first_name text, p_last_name text, p_custom_fields jsonb)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
DECLARE
    found text := coalesce(p_name, '') || E'\n' || coalesce(p_first_name, '') || ' ' || coalesce(p_last_name, '')
                  || E'\n' || coalesce(p_email, '');
BEGIN
    IF p_custom_fields <> '{}' THEN
        found := found || E'\n' || jsonb_path_query_array(p_custom_fields, '$.*[*] ? (@.type() == "string")')::text;
    END IF;
    found := left(found, 4000);
    IF octet_length(found) > length(found) THEN
        found := regexp_replace(lower(normalize(found, NFKD)), E'[\\u0300-\\u036f]', '', 'g');
        found := replace(replace(replace(translate(found, 'øłđðħıŧ', 'olddhit'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
    END IF;
    RETURN btrim(translate(lower(found), E'"\\', ''), E' \n');
END $$;

-- crm_search_grams(): of what contacts are found by, every three letters in a row, and with a space before them the first
-- letter and the first two of each word. Of what is sought, the same without the beginnings; of one letter or two, only that.
CREATE OR REPLACE FUNCTION crm_search_grams(p_text text, p_sought boolean DEFAULT false)
RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
DECLARE
    threes text[] := ARRAY(SELECT substr(p_text, n, 3) FROM generate_series(1, length(p_text) - 2) n);
BEGIN
    IF p_sought THEN
        RETURN CASE WHEN length(p_text) < 3 THEN ARRAY[' ' || p_text] ELSE threes END;
    END IF;
    RETURN threes || ARRAY(SELECT ' ' || left(word[1], n)
                             FROM regexp_matches(p_text, E'\\m\\w{1,2}', 'g') word, generate_series(1, length(word[1])) n);
END $$;
