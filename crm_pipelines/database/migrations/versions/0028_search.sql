-- What the search of contacts looks through, and by what it finds them. Both need no extension, no collation and no other
-- function, so that an index may use them wherever it is built, and where a dump is restored.

-- crm_searchable(): the texts of a contact in one line each, without case and accents: "MÜLLER" becomes "muller". Of very long
-- ones the beginning. Quotes and backslashes are left out, since in the text of custom fields they are written in another way.
CREATE OR REPLACE FUNCTION crm_searchable(p_email text, p_name text, p_first_name text, p_last_name text, p_custom_fields jsonb)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
DECLARE
    parts text := coalesce(p_first_name || ' ', '') || coalesce(p_last_name, '');
    found text := coalesce(p_name, '') || E'\n' || coalesce(p_email, '');
BEGIN
    IF parts <> '' AND strpos(found, parts) = 0 THEN
        found := parts || E'\n' || found;
    END IF;
    IF p_custom_fields <> '{}' THEN
        found := found || E'\n' || jsonb_path_query_array(p_custom_fields, '$.*[*] ? (@.type() == "string")')::text;
    END IF;
    found := left(found, 4000);
    IF octet_length(found) > length(found) THEN
        found := regexp_replace(lower(normalize(found, NFKD)), E'[\\u0300-\\u036f]', '', 'g');
        found := replace(replace(replace(translate(found, 'øłđðħıŧς', 'olddhitσ'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
    END IF;
    RETURN btrim(translate(lower(found), E'"\\', ''), E' \n');
END $$;

-- crm_search_grams(): of what contacts are found by, every three letters in a row, and with a space before it the first letter
-- of each word. Of what is sought, the same without that; of one letter or two, the beginning of a word.
CREATE OR REPLACE FUNCTION crm_search_grams(p_text text, p_sought boolean DEFAULT false)
RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
DECLARE
    words text := translate(p_text, E'\n.,;:-_+&/()[]''', '               ');
BEGIN
    IF length(words) < 3 AND p_sought THEN
        RETURN ARRAY[' ' || words];
    END IF;
    words := CASE WHEN p_sought THEN words ELSE ' ' || words END;
    RETURN ARRAY(SELECT substr(words, n, 3) FROM generate_series(1, length(words) - 2) n)
        || CASE WHEN NOT p_sought THEN ARRAY(SELECT ' ' || left(word, 1)
                                               FROM unnest(string_to_array(words, ' ')) word WHERE word <> '') END;
END $$;
