"""drt, the reverse ETL that we are compared with: installed apart from the project, and run on a stage of ours."""
